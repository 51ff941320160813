"""When, where and with which settings: the command line, the demo, deployment."""
