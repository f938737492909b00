"""Part of ddpm-mindspore."""
