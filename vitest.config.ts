import { defineConfig } from 'vitest/config';

/** Three suites by folder: `unit` beside the code, `integration` with real Redis, `live` with real CRIU. */
export default defineConfig({
  test: {
    include: ['libs/**/*.test.ts', 'apps/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
