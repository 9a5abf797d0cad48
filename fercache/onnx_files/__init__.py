"""A model as ONNX files: for programs without torch."""
