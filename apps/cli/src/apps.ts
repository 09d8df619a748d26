/**
 * The other apps, as the CLI starts them. Each is a bundle of its own beside this one (dist/<app>.js): apps never import
 * each other. test/integration/cli-apps.test.ts holds these declarations against the apps themselves.
 */
import type { BoardConfig, CoordinatorConfig, WorkerConfig } from '@cmt/contracts';
import type { Finished, RunOptions } from '@cmt/host';

/** A configuration that names its Redis: the embedded one has an address like any other. */
export type Joined<Config> = Config & { readonly redis: string };

export interface WorkerApp {
  /** Works until it is told to stop. */
  main(config: Joined<WorkerConfig>): Promise<void>;
}

export interface CoordinatorApp {
  main(config: Joined<CoordinatorConfig>): Promise<void>;
}

export interface BoardApp {
  /** Shows until it is told to stop; says once where. */
  main(
    config: Joined<BoardConfig>,
    onReady: (ready: { readonly url: string; readonly tokenFrom: string }) => void,
  ): Promise<void>;
}

export interface LabHostView {
  readonly name: string;
  readonly address: string;
}

export interface LabView {
  readonly name: string;
  readonly stateDir: string;
  readonly hosts: readonly LabHostView[];
  readonly fabric: { readonly gateway: string };
  readonly ready: boolean;
}

interface LabDaemonView {
  readonly name: string;
  readonly process: { readonly pid: number; readonly startTime: string };
  readonly logFile: string;
}

/** `Lab` is the app's own: it goes in as it came out. */
export interface LabApp<Lab extends LabView = LabView> {
  labUp(options: {
    readonly name: string;
    readonly hosts?: number | readonly string[];
    readonly share: readonly string[];
    readonly onProgress: (line: string) => void;
  }): Promise<Lab>;
  labDown(options: { readonly name: string }): Promise<void>;
  labLs(): Promise<Lab[]>;
  labExec(lab: Lab, host: string, argv: readonly string[], options: RunOptions): Promise<Finished>;
  labExecArgv(lab: Lab, host: string, argv: readonly string[]): string[];
  fabricExecArgv(lab: Lab, argv: readonly string[]): string[];
  spawnInHost(
    lab: Lab,
    host: string,
    daemon: { readonly name: string; readonly argv: readonly string[] },
  ): Promise<LabDaemonView>;
  listDaemons(lab: Lab, host: string): Promise<LabDaemonView[]>;
  isAlive(process: LabDaemonView['process']): boolean;
}

interface Apps {
  readonly worker: WorkerApp;
  readonly coordinator: CoordinatorApp;
  readonly board: BoardApp;
  readonly lab: LabApp;
}

/** Directory of the bundles. */
export const bundleDir = (): string => import.meta.dirname;

export const loadApp = async <Name extends keyof Apps>(name: Name): Promise<Apps[Name]> =>
  (await import(new URL(`./${name}.js`, import.meta.url).href)) as Apps[Name];
