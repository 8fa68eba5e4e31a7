"""Grids of runs as jobs: which runs make one job, what it waits for, and the stamp it leaves behind.

The workflow (``workflow/Snakefile``) asks for a plan, carries its jobs out as papermill runs of ``workflow/job.ipynb``
and knows a finished one by its *stamp*. A stamp only names records, so that a workflow tool may delete it at any time.
"""
