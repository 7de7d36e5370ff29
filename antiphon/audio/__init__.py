"""Sound as numbers: formats and resampling, voice activity, wake words, WAV files."""
