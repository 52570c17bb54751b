/**
 * How the service's engine is to be started, since it cannot be told later. With room for what calls leave behind while they
 * are set up: without it the whole heap is looked through several times in the first minute, 12 to 24 ms each time. And with
 * one thread for garbage: a process has one core's worth of calls, on which its helpers would only be in each other's way.
 * `npm start` and the image say the same.
 */
export const ENGINE_FLAGS: readonly string[] = [
  '--max-semi-space-size=32',
  '--min-semi-space-size=16',
  '--initial-old-space-size=128',
  '--single-threaded-gc',
];
