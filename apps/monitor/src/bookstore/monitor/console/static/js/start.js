/* Loads the page when its first words are on the screen: thirty modules at once would be in their way. */

function load() {
    const modules = /** @type {HTMLTemplateElement} */ (document.getElementById("modules"));
    document.head.append(modules.content);
    void import("./main.js");
}

// A page that nobody sees has no frames to wait for.
if (document.hidden) load();
else requestAnimationFrame(() => setTimeout(load));
