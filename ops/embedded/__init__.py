"""The whole stack on one machine, for `make run` and for the tests: servers, application, supervision.

service           what a supervised program must be able to say about itself
redis_server …    one module per server: its command line, its readiness, its address
process, guard    one running service, and what ends it when its supervisor is gone
supervisor        starts, watches, restarts and stops them
home              the folder of one stack: its lock, its secrets, its ports
signatures        which ClamAV signatures are to be had
configuration     the settings of the running stack, and `stack.env`
stack             the composition, from nothing to `ready`
"""
