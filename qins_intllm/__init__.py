__version__ = "0.1.0"

from qins_intllm.register import lazy, register_lazily
register_lazily()
__getattr__, __dir__ = lazy(__name__)
