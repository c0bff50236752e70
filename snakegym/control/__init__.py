"""The Process Controller: view, dispatch, complete."""
