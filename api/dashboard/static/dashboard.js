"use strict";
// Makes pages livelier; each works without.
