"""The forecast: what a plan would take, before anything is downloaded or trained."""
