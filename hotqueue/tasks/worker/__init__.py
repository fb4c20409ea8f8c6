"""One worker process: its workers fetch tasks, have them executed, and settle how they ended.

A worker process knows neither its supervisor nor other processes: these are known by a permit pipe, a table and a control pipe
alone. Commands are sent by tasks/broker/; what a task comes to is decided by tasks/rules/, and its code run by
tasks/execution/. May use all of tasks/ but supervisor/, testing/ and methods.
"""
