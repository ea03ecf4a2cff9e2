"""From a checkpoint to a bundle: ONNX behind the parity gate, golden pictures, card."""
