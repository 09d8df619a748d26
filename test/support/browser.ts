/** Debian's Chromium, headless, driven by playwright-core. It looks nothing up and reports nothing. */
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';

/** Why no browser can be driven here, or null. */
export const whyNoBrowser = (): Promise<string | null> =>
  access(CHROMIUM).then(
    () => null,
    () => `${CHROMIUM} is missing: run scripts/setup.sh`,
  );

export interface Window {
  readonly page: Page;
  /** What the page complained of, and addresses that it asked for elsewhere. */
  readonly complaints: readonly string[];
  close(): Promise<void>;
}

/** A window with a profile of its own. */
export async function openWindow(origin: string, options: BrowserContextOptions = {}): Promise<Window> {
  const profile = await mkdtemp(join(tmpdir(), 'cmt-chromium-'));
  const context: BrowserContext = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
      ...['--disable-background-networking', '--disable-component-update'],
    ],
    viewport: { width: 1280, height: 900 },
    ...options,
  });
  const page = context.pages()[0] ?? (await context.newPage());
  const complaints: string[] = [];
  page.on('console', (said) => {
    if (said.type() === 'error' || /Content.Security/i.test(said.text())) complaints.push(said.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('data:'))
      complaints.push(`asks for ${request.url()}`);
  });
  return {
    ...{ page, complaints },
    close: async () => {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}
