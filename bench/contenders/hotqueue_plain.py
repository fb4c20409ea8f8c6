"""hotqueue without its [fast] extra: redis-py's parser in Python, and asyncio's own loop."""

NAME = "hotqueue-plain"
LIKE = "hotqueue_"
REQUIREMENTS = ("redis==8.1.0", "cloudpickle==3.1.3", "--editable", "ROOT")
