"""What measures, draws and shows. The heart and the engine never need it to train."""
