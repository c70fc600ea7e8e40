"""Formats that others read: each exporter takes finished cells and writes files into a folder.

`eee` Every Eval Ever 0.3.0; `lm-eval` lm-eval's own files, unchanged; `parquet` all answers;
`evalstats` a long CSV of right and wrong; `hub` a model card and `.eval_results` for the Hub.
"""
