package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// caption says where and with what the numbers were measured, in lines.
func caption(now time.Time) []string {
	info, _ := debug.ReadBuildInfo()
	return []string{
		fmt.Sprintf("%s, %s, %s/%s, %s", processor(), counted(runtime.GOMAXPROCS(0), "core"), runtime.GOOS, runtime.GOARCH, runtime.Version()),
		now.Format("2 January 2006") + "; " + strings.Join(versions(info), ", "),
	}
}

// peerModules are the modules whose versions matter, by the names of the tables.
var peerModules = [][2]string{
	{"otter", "github.com/maypok86/otter/v2"},
	{"theine", "github.com/Yiling-J/theine-go"},
	{"sturdyc", "github.com/viccon/sturdyc"},
	{"ristretto", "github.com/dgraph-io/ristretto/v2"},
	{"ttlcache", "github.com/jellydator/ttlcache/v3"},
}

// versions are those of the peers that are built in.
func versions(info *debug.BuildInfo) []string {
	if info == nil {
		return []string{"versions unknown"}
	}
	var list []string
	for _, peer := range peerModules {
		i := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == peer[1] })
		if i >= 0 {
			list = append(list, peer[0]+" "+info.Deps[i].Version)
		}
	}
	return list
}

// processor is its name where the system tells it in a file, as Linux does.
func processor() string {
	about, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(about)) {
		name, model, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return "unknown processor"
}
