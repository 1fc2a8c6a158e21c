"""Where the program writes event files: only the folder is told, and read by `gitparams run` once the program is done."""

import functools
import os

import _gitparams_capture as capture


def hang(module):
    """Look at the folder that a writer of TensorBoard's, of tensorboardX or of TensorFlow is made for."""
    writer = getattr(module, "EventFileWriter", None)
    if writer is not None:
        capture.surround(writer, "__init__", _look)
    create = getattr(module, "create_file_writer_v2", None)
    if create is not None:
        module.create_file_writer_v2 = _looking(create)


def _look(_, writer, args, kwargs):
    _tell(args[0] if args else kwargs.get("logdir"))


def _looking(create):
    @functools.wraps(create)
    def create_file_writer_v2(logdir, *args, **kwargs):
        writer = create(logdir, *args, **kwargs)
        try:
            _tell(logdir)
        except Exception as error:
            capture.fault(error)
        return writer

    return create_file_writer_v2


def _tell(folder):
    if folder is not None and "://" not in os.fsdecode(folder):
        folder = os.fsdecode(folder)
        capture.tell("writes", folder=os.path.abspath(folder), what="tensorboard")
