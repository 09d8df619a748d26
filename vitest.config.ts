import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take minutes. Begun first, so that none of them goes on alone when all others have ended. */
const LONG = ['test/live/crashes', 'test/live/agentless', 'test/live/stopping', 'test/live/migrate-'];
const rankOf = ({ moduleId }: TestSpecification): number => {
  const rank = LONG.findIndex((name) => moduleId.includes(name));
  return rank < 0 ? LONG.length : rank;
};

class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((one, other) => rankOf(one) - rankOf(other));
  }
}

/** Suites are folders (scripts/test/suites.mjs): beside the code, `integration` with real Redis, `live` with real CRIU, … */
export default defineConfig({
  test: {
    include: ['libs/**/*.test.ts', 'apps/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    sequence: { sequencer: LongFilesFirst },
  },
});
