/** Tools of a lab host that fail on purpose, and are whole again afterwards. */
import { labExec, type Lab } from '@cmt/lab';

export type Mend = () => Promise<void>;

/** Puts a program before the real one in the PATH of a host's worker; `script` decides when the real one is run. */
export async function shadow(lab: Lab, host: string, program: string, script: string): Promise<Mend> {
  const path = `/usr/local/sbin/${program}`;
  await inHost(
    lab,
    host,
    `cat > ${path} && chmod 755 ${path}`,
    `#!/bin/sh\n${script}\nexec /usr/sbin/${program} "$@"\n`,
  );
  return () => inHost(lab, host, `rm ${path}`);
}

/** Takes a program of a host away. */
export async function takeAway(lab: Lab, host: string, path: string): Promise<Mend> {
  await inHost(lab, host, `mv ${path} ${path}.away`);
  return () => inHost(lab, host, `mv ${path}.away ${path}`);
}

async function inHost(lab: Lab, host: string, script: string, input?: string): Promise<void> {
  const limit = { timeoutMs: 10_000, ...(input === undefined ? {} : { input }) };
  const { code, stderr } = await labExec(lab, host, ['sh', '-euc', script], limit);
  if (code !== 0) throw new Error(`${script} on ${host}: ${stderr}`);
}
