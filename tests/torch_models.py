"""Models for the engines on PyTorch: the embedded Whisper in its form, and voices that nobody has trained.

Such a voice makes noise as long as a text takes to say, on the same way as one that has learned to speak.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctranslate2_weights import openai_whisper

from antiphon_daemon.engines import catalogue

LETTERS = "abcdefghijklmnopqrstuvwxyz"
FRAMES_PER_LETTER = 3
RATE = 16_000


def whisper(folder: Path) -> Path:
    """Return the embedded tiny.en as a file of openai-whisper's."""
    import torch

    dims, weights = openai_whisper(catalogue.whisper())
    path = folder / "tiny.en.pt"
    state = {name: torch.from_numpy(value.copy()).half() for name, value in weights.items()}
    torch.save({"dims": dims, "model_state_dict": state}, path)
    return path


def untrained_whisper(folder: Path, vocabulary: int, mels: int) -> Path:
    """Return a small Whisper that knows nothing, as a file of openai-whisper's."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(1)
    dims = ModelDimensions(mels, 1500, 16, 2, 1, vocabulary, 448, 16, 2, 1)
    model = Whisper(dims)
    torch.nn.init.normal_(model.decoder.positional_embedding)
    path = folder / "untrained.pt"
    torch.save({"dims": vars(dims), "model_state_dict": model.state_dict()}, path)
    return path


def voice(folder: Path, speakers: Sequence[str] = (), languages: Sequence[str] = (), letters: str = LETTERS) -> Path:
    """Return the folder of a VITS model of Coqui's: a checkpoint and its configuration."""
    import torch
    from TTS.config.shared_configs import BaseAudioConfig
    from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
    from TTS.tts.models.vits import Vits

    folder.mkdir(parents=True, exist_ok=True)
    args = VitsArgs(
        hidden_channels=16,
        hidden_channels_ffn_text_encoder=16,
        num_layers_text_encoder=1,
        num_layers_posterior_encoder=1,
        num_layers_flow=1,
        upsample_initial_channel_decoder=16,
        resblock_kernel_sizes_decoder=[3],
        resblock_dilation_sizes_decoder=[[1, 3, 5]],
        init_discriminator=False,
        use_sdp=False,
        length_scale=FRAMES_PER_LETTER,
        use_speaker_embedding=bool(speakers),
        use_language_embedding=bool(languages),
    )
    config = VitsConfig(
        model_args=args,
        audio=BaseAudioConfig(sample_rate=RATE),
        use_phonemes=False,
        text_cleaner="basic_cleaners",
        characters=_characters(letters),
        speakers=list(speakers),
        use_speaker_embedding=bool(speakers),
        languages=list(languages),
    )
    config.save_json(folder / "config.json")  # a model adds to it: that it speaks English, where nothing is said
    torch.manual_seed(1)
    torch.save({"model": Vits(config).state_dict()}, folder / "model.pth")
    return folder


def mute_voice(folder: Path) -> Path:
    """Return the folder of a GlowTTS model: it makes spectrograms, of which something else must make sound."""
    import torch
    from TTS.config.shared_configs import BaseAudioConfig
    from TTS.tts.configs.glow_tts_config import GlowTTSConfig
    from TTS.tts.models.glow_tts import GlowTTS

    folder.mkdir(parents=True)
    config = GlowTTSConfig(
        audio=BaseAudioConfig(sample_rate=RATE),
        use_phonemes=False,
        text_cleaner="basic_cleaners",
        characters=_characters(LETTERS),
        hidden_channels_enc=16,
        hidden_channels_dec=16,
        hidden_channels_dp=16,
        num_flow_blocks_dec=1,
        num_block_layers=1,
        length_scale=FRAMES_PER_LETTER,
        encoder_params={
            "kernel_size": 3,
            "dropout_p": 0.1,
            "num_layers": 1,
            "num_heads": 2,
            "hidden_channels_ffn": 16,
        },
    )
    config.save_json(folder / "config.json")
    torch.manual_seed(1)
    torch.save({"model": GlowTTS(config).state_dict()}, folder / "model.pth")
    return folder


def vocoder(folder: Path) -> Path:
    """Return the folder of a HiFi-GAN, which makes sound of spectrograms."""
    import torch
    from TTS.config.shared_configs import BaseAudioConfig
    from TTS.vocoder.configs import HifiganConfig
    from TTS.vocoder.models import setup_model

    folder.mkdir(parents=True)
    config = HifiganConfig(
        audio=BaseAudioConfig(sample_rate=RATE),
        generator_model_params={
            "upsample_factors": [8, 8, 2, 2],
            "upsample_kernel_sizes": [16, 16, 4, 4],
            "upsample_initial_channel": 16,
            "resblock_kernel_sizes": [3],
            "resblock_dilation_sizes": [[1, 3, 5]],
            "resblock_type": "1",
        },
    )
    config.save_json(folder / "config.json")
    torch.save({"model": setup_model(config).state_dict()}, folder / "model.pth")
    return folder


def _characters(letters: str) -> Any:
    from TTS.tts.configs.shared_configs import CharactersConfig

    return CharactersConfig(
        characters_class="TTS.tts.utils.text.characters.Graphemes",
        pad="_",
        eos="&",
        bos="*",
        blank="<BLNK>",
        characters=letters,
        punctuations=" .,!?'",
    )
