"""Face 1: the daemon as services of other people's pipelines, over Wyoming."""
