/**
 * `npm run bench:wire -- [--sizes 64,256,1024] [--runs N] [--json]`: images from one lab host to another, file to file in memory, as cmt sends
 * them and as others would, in turn, in the same run on the same link. Nothing fails on a slow machine.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Link } from '@cmt/host';
import type { HostEndpoint, Route } from '@cmt/contracts';
import { labDown, labRun, labScript, labUp } from '@cmt/lab';
import type { OwnFigures } from '../support/own-figures.ts';
import { TransferEnd } from '../support/transfer-end.ts';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '64,256,1024' },
    runs: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});

const root = join(import.meta.dirname, '../..');
const name = `wire${process.pid}`;
/** Pages that do not pack, and pages half of which are zeros and half text. */
const OUTBOX = '/run/out box';
const TEXTS = '/run/out texts';
const PORT = 5900;

const lab = await labUp({ name, hosts: 2, share: [root] });

interface Row {
  readonly way: string;
  readonly MiB: number;
  /** Bytes per second, in 10^9: the median of the runs. */
  readonly GBps: number;
  /** Over the bytes of the images; null where nobody counted. */
  readonly sentOverImages: number | null;
  readonly lagP99Ms: { readonly source: number; readonly target: number } | null;
  /** The largest process of each end. */
  readonly rssMiB: { readonly source: number; readonly target: number } | null;
}

interface Measured {
  readonly seconds: number;
  readonly extra?: Pick<Row, 'sentOverImages' | 'lagP99Ms' | 'rssMiB'>;
}

async function measure(): Promise<Row[]> {
  const [one, two] = lab.hosts;
  const source = new TransferEnd(lab, 'host1', one!.address);
  const target = new TransferEnd(lab, 'host2', two!.address);
  const endpoint = await target.value<HostEndpoint>('endpoint');
  await source.value('route', { transport: 'ssh', peer: 'host2', endpoint } satisfies Route);
  const ends = { source, target };
  const ways: Readonly<Record<string, (bytes: number) => Promise<Measured>>> = {
    'cmt, connection of its own': (bytes) => byCmt(ends, 'carried', bytes),
    'cmt, packed by zstd: random': (bytes) => byCmt(ends, 'packed', bytes),
    'cmt, packed by zstd: zeros and text': (bytes) => byCmt(ends, 'packed', bytes, TEXTS),
    'cmt, through ssh2': (bytes) => byCmt(ends, 'channel', bytes),
    'iperf3, memory to nowhere': (bytes) => iperf(two!.address, bytes),
    'socat, file to file, plain': () => socat(two!.address, 'OPEN:/run/plain,creat,trunc'),
    'OpenSSH, file to file': () => openSsh(two!.address),
  };
  const rows: Row[] = [];
  for (const MiB of values.sizes.split(',').map(Number)) rows.push(...(await measureSize(MiB, ways)));
  await Promise.all([source.end(), target.end()]);
  return rows;
}

async function measureSize(
  MiB: number,
  ways: Readonly<Record<string, (bytes: number) => Promise<Measured>>>,
): Promise<Row[]> {
  const bytes = MiB * 2 ** 20;
  await sh(
    'host1',
    `rm -rf '${OUTBOX}'; mkdir '${OUTBOX}' && head -c ${bytes} /dev/urandom > '${OUTBOX}/pages-1.img'`,
  );
  await sh('host1', writeTexts(bytes));
  const measured = new Map<string, Measured[]>(Object.keys(ways).map((way) => [way, []]));
  for (let run = 0; run < Number(values.runs); run += 1)
    for (const [way, once] of Object.entries(ways)) measured.get(way)?.push(await once(bytes));
  return [...measured].map(([way, runs]) => {
    const seconds = median(runs.map((run) => run.seconds));
    const nothing = { sentOverImages: null, lagP99Ms: null, rssMiB: null };
    return { way, MiB, GBps: round(bytes / seconds / 1e9), ...(worst(runs) ?? nothing) };
  });
}

/** 256 KiB of zeros and as many of source text in turn. */
const writeTexts = (bytes: number): string => `rm -rf '${TEXTS}'; mkdir '${TEXTS}'
  find /usr/share/perl /usr/lib/python3* -name '*.p[lmy]' -type f | sort | xargs cat | head -c 16M > /run/text
  size=$(stat -c %s /run/text)
  for n in $(seq ${bytes / 2 ** 19}); do
    head -c 256K /dev/zero
    tail -c +$((n * 262144 % (size - 262144) + 1)) /run/text | head -c 256K
  done > '${TEXTS}/pages-1.img'`;

/** From the first byte read to the last verified at the other end; connected before, as before a freeze. */
async function byCmt(
  { source, target }: { readonly source: TransferEnd; readonly target: TransferEnd },
  way: 'carried' | 'channel' | 'packed',
  bytes: number,
  directory = OUTBOX,
): Promise<Measured> {
  const { publicKey } = await source.value<HostEndpoint>('endpoint');
  await target.value('prepare', publicKey);
  const uncarried = await source.value<Link['uncarried']>('warm', way);
  if (way !== 'channel' && uncarried !== null) throw new Error(`no connection of its own: ${uncarried}`);
  await target.value('reset');
  const before = await sentBy('host1');
  const began = performance.now();
  await source.value('images', directory);
  const seconds = (performance.now() - began) / 1000;
  const [from, to, after] = [
    await source.value<OwnFigures>('figures'),
    await target.value<OwnFigures>('figures'),
    await sentBy('host1'),
  ];
  const rss = ({ rssMiB, childRssMiB }: OwnFigures) => Math.round(Math.max(rssMiB, childRssMiB));
  return {
    seconds,
    extra: {
      sentOverImages: (after - before) / bytes,
      lagP99Ms: { source: round(from.lagP99Ms), target: round(to.lagP99Ms) },
      rssMiB: { source: rss(from), target: rss(to) },
    },
  };
}

/** For a time of its own: it ends a number of bytes at the end of a second. */
async function iperf(address: string, bytes: number): Promise<Measured> {
  const answer = await toServer(['iperf3', '-s', '-1'], '5201', () =>
    labRun(lab, 'host1', ['iperf3', '-c', address, '-t', '2', '-J']),
  );
  const { end } = JSON.parse(answer) as { end: { sum_received: { bytes: number; seconds: number } } };
  return { seconds: (end.sum_received.seconds * bytes) / end.sum_received.bytes };
}

async function socat(address: string, into: string): Promise<Measured> {
  const size = ['-u', '-b', `${2 ** 20}`];
  let began = 0;
  await toServer(['socat', ...size, `TCP-LISTEN:${PORT},reuseaddr`, into], `${PORT}`, () => {
    began = performance.now();
    return labRun(lab, 'host1', ['socat', ...size, `OPEN:${OUTBOX}/pages-1.img`, `TCP:${address}:${PORT}`]);
  });
  return { seconds: (performance.now() - began) / 1000 };
}

/** What a client says to a server of host2, which ends with it. The failure of either is the caller’s at once. */
async function toServer(
  server: readonly string[],
  port: string,
  client: () => Promise<string>,
): Promise<string> {
  const [said] = await Promise.all([listening(port).then(client), labRun(lab, 'host2', server)]);
  return said;
}

async function openSsh(address: string): Promise<Measured> {
  const began = performance.now();
  const cipher = '-c aes128-gcm@openssh.com';
  await sh('host1', `ssh ${cipher} root@${address} 'cat > /run/by-ssh' < '${OUTBOX}/pages-1.img'`);
  return { seconds: (performance.now() - began) / 1000 };
}

const listening = (port: string): Promise<string> =>
  sh('host2', `until ss -ltn | grep -q ':${port} '; do sleep 0.02; done`);

/** Bytes that left a host, headers and all. */
const sentBy = async (host: string): Promise<number> =>
  Number(await sh(host, 'cat /sys/class/net/[!l]*/statistics/tx_bytes | sort -n | tail -1'));

const sh = async (host: string, script: string): Promise<string> =>
  (await labScript(lab, host, script, { timeoutMs: 120_000 })).trim();

function worst(runs: readonly Measured[]): Measured['extra'] | null {
  const extras = runs.flatMap(({ extra }) => (extra === undefined ? [] : [extra]));
  if (extras.length === 0) return null;
  const most = (pick: (extra: NonNullable<Measured['extra']>) => number | undefined) =>
    Math.max(...extras.map((extra) => pick(extra) ?? 0));
  return {
    sentOverImages: Math.round(most((extra) => extra.sentOverImages ?? 0) * 1000) / 1000,
    lagP99Ms: {
      source: most((extra) => extra.lagP99Ms?.source),
      target: most((extra) => extra.lagP99Ms?.target),
    },
    rssMiB: { source: most((extra) => extra.rssMiB?.source), target: most((extra) => extra.rssMiB?.target) },
  };
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

const round = (number: number): number => Math.round(number * 100) / 100;

const flat = (pairs: Readonly<Record<string, Row['lagP99Ms']>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(pairs).map(([key, pair]) => [key, pair === null ? '' : `${pair.source} / ${pair.target}`]),
  );

try {
  const rows = await measure();
  if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
  // eslint-disable-next-line no-console -- Node's one way to draw a table
  else console.table(rows.map(({ lagP99Ms, rssMiB, ...row }) => ({ ...row, ...flat({ lagP99Ms, rssMiB }) })));
} finally {
  await labDown({ name });
}
