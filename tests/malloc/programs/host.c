/* host.c - a C program that loads the plugin named first, again and again. */
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char** words) {
    if (count < 2) return 9;
    for (int i = 0; i < 50; ++i) {
        void* plugin = dlopen(words[1], RTLD_NOW | RTLD_LOCAL);
        if (plugin == NULL) return puts(dlerror()), 8;
        int (*catches)(void) = (int (*)(void))dlsym(plugin, "catches_bad_alloc");
        if (catches == NULL || catches() != 1) return 7;
        dlclose(plugin);
    }
    return 0;
}
