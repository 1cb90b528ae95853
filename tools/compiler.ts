/**
 * Settings of V8's compiler, made before any hot code runs. The path of one event goes through
 * many small functions (queue, unit, caches, memory); with the default budget V8 stops inlining
 * half-way. Affects speed only, in this process and its threads.
 */
import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--max-inlined-bytecode-size-cumulative=4000');
