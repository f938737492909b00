"""The ground truth: denoising diffusion in NumPy, each formula as its paper writes it.

Read README.md beside this file first; then schedule, process, objective, samplers and oracle.
"""
