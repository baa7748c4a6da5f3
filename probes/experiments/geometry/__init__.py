"""Are vectors arranged as people's ratings and the paper's clusters are?"""
