"""From a request to a device, as functions of values: extract, retrieve, update, associate, admit."""
