"""Translate models to and from other formats: ONNX, safetensors, SB3 zips."""
