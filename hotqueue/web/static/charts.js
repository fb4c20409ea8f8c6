// Values of charts, under the pointer.
