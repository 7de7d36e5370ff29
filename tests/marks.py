"""The marks of tests that need what a machine may lack. In CI nothing but these may skip."""

MARKS = {
    "macos": "needs macOS",
    "gpu": "needs a GPU",
    "torch": "needs the engines on PyTorch (./test.sh --torch)",
    "node": "needs packages of npm (./test.sh --node)",
    "home_assistant": "needs a real Home Assistant (./test.sh --home-assistant)",
}
