__version__ = "0.1.0"

from qins_intllm.register import register_lazily
register_lazily()
