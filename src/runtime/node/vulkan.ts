/** Why Dawn finds no adapter on this machine, and what to install. Node only. */

// Not imported: bundlers for the browser would look for these modules.
const { existsSync, readdirSync } = process.getBuiltinModule('node:fs');

const INSTALL = "install your GPU's, or mesa-vulkan-drivers 23 or later for one in software";
const OLD_MESA = 'Mesa must be 23 or later (Debian 12: mesa-vulkan-drivers of bookworm-backports)';
/** Where the loader looks for drivers. */
const DRIVERS = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d'];

export function missingDriver(): string {
  if (process.platform !== 'linux') return 'the system gives no GPU to WebGPU';
  if (!hasLoader())
    return `the Vulkan loader libvulkan.so.1 is missing (Debian, Ubuntu: apt-get install libvulkan1), and with it a driver: ${INSTALL}`;
  const name = process.env['VK_DRIVER_FILES'] === undefined ? 'VK_ICD_FILENAMES' : 'VK_DRIVER_FILES';
  const forced = process.env[name];
  if (forced !== undefined) {
    const absent = forced.split(':').filter((f) => !existsSync(f));
    if (absent.length > 0) return `${name} names ${absent.join(' and ')}, which is not there: correct it or unset it`;
    return `Dawn accepts no driver that ${name} names (${forced}): ${OLD_MESA}`;
  }
  const found = DRIVERS.flatMap((d) => entries(d)).filter((f) => f.endsWith('.json'));
  if (found.length === 0) return `no Vulkan driver is installed: ${INSTALL}`;
  return `Dawn accepts none of the Vulkan drivers (${found.join(', ')}): ${INSTALL}; ${OLD_MESA}`;
}

function hasLoader(): boolean {
  const extra = (process.env['LD_LIBRARY_PATH'] ?? '').split(':').filter((d) => d !== '');
  const roots = ['/lib', '/usr/lib', '/lib64', '/usr/lib64', '/usr/local/lib'];
  const multiarch = roots.slice(0, 2).flatMap((r) =>
    entries(r)
      .filter((d) => d.endsWith('-linux-gnu'))
      .map((d) => `${r}/${d}`),
  );
  return [...extra, ...roots, ...multiarch].some((d) => existsSync(`${d}/libvulkan.so.1`));
}

const entries = (path: string): string[] => {
  try {
    return readdirSync(path).sort();
  } catch {
    return [];
  }
};
