/** Runs inside a lab host: calls of the network under test, one JSON array of `[method, argument]` in, answers and times out. */
import type { ContainerNetwork } from '@cmt/contracts';
import { createNetwork } from '../../libs/host/src/network/index.ts';

export type NetworkCall =
  | readonly ['describe', number]
  | readonly ['fence' | 'unfence' | 'build' | 'attach' | 'remove' | 'conflicts', ContainerNetwork];
export interface NetworkAnswer {
  readonly value: unknown;
  readonly error?: { readonly code?: string; readonly message: string };
  readonly ms: number;
}

const network = createNetwork('this-host');

async function answer(call: NetworkCall): Promise<NetworkAnswer> {
  const signal = AbortSignal.timeout(20_000);
  const started = performance.now();
  const [method, argument] = call;
  try {
    const value = await (method === 'describe'
      ? network.describe(argument, signal)
      : network[method](argument, signal));
    return { value: value ?? null, ms: performance.now() - started };
  } catch (error) {
    const code = (error as { failure?: { code: string } }).failure?.code;
    const message = error instanceof Error ? error.message : String(error);
    return {
      value: null,
      error: { ...(code === undefined ? {} : { code }), message },
      ms: performance.now() - started,
    };
  }
}

const answers: NetworkAnswer[] = [];
for (const call of JSON.parse(process.argv[2] ?? '[]') as NetworkCall[]) answers.push(await answer(call));
process.stdout.write(JSON.stringify(answers));
