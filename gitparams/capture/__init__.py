"""How the params of a run become known: files, overrides, objects, the environment and the program itself."""
