"""FinePOSE: a denoiser that is told, in words, what is known of a person."""
