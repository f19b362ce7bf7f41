"""The site as a source: pages, exports and statements of the owner's signed-in session."""
