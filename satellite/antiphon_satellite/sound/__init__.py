"""PortAudio devices, the microphone and the speaker."""
