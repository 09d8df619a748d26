/** The other end of in-host.ts: answers calls of its methods until standard input ends. */
import { createInterface } from 'node:readline';

type Methods = Readonly<Record<string, (...args: never[]) => unknown>>;

export async function answerCalls(methods: Methods): Promise<void> {
  for await (const line of createInterface({ input: process.stdin }))
    process.stdout.write(`${JSON.stringify(await answer(methods, line))}\n`);
}

async function answer(methods: Methods, line: string): Promise<object> {
  const [method, ...args] = JSON.parse(line) as [string, ...never[]];
  const started = performance.now();
  try {
    const value = await methods[method]?.(...args);
    return { value: value ?? null, ms: performance.now() - started };
  } catch (error) {
    const { message, failure } = error as Error & { failure?: { code: string } };
    return { error: { message, code: failure?.code }, ms: performance.now() - started };
  }
}
