"""Read and write run directories: settings, metrics, checkpoints, models, summaries."""
