"""The endpoints, one small file a subject; each exports `add(app)`."""
