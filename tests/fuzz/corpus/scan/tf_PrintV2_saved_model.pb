

nPrintV2