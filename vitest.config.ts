import { defineConfig } from 'vitest/config';

export default defineConfig({
  // The examples import the package by its name; here that is the sources, whether they have been built or not.
  resolve: {
    alias: [
      { find: /^patchcord$/, replacement: new URL('src/index.ts', import.meta.url).pathname },
      { find: /^patchcord\/testing$/, replacement: new URL('src/testing.ts', import.meta.url).pathname },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // Modules hold no state (style rule 10), so test files may share them: several times faster.
    isolate: false,
    // Most of the time is spent waiting for sound to be played, so more workers than cores pay off.
    maxWorkers: 4,
    // Concurrent tests wait for calls in real time; few of them compute.
    maxConcurrency: 16,
    restoreMocks: true,
    unstubEnvs: true,
    // What it says on Node 20 is known (docs/decisions.md), and would be said by every worker.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    // Calls are played in real time, beside files that compute: one that was held up for a moment gets another go.
    retry: 1,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
