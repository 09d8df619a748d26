/** The script of the board's pages. */
import { showFleet } from './fleet-page.ts';
import { showMigration } from './migration-page.ts';

const main = document.getElementById('main');
const [, id] = /^\/migrations\/([^/]+)$/.exec(location.pathname) ?? [];
if (main !== null) {
  if (id === undefined) showFleet(main);
  else showMigration(main, decodeURIComponent(id));
}
