"""Which policy does this listener get, and did it work?"""
