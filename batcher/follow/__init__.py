"""From created to verdict: which jobs are ready, how each comparison ended, whether the cutover may go ahead."""
