"""The endpoints, one module for each topic; each exports `add(app)`."""
